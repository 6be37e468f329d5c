"""The version that pictures and cards carry."""

VERSION = "0.1.0"
