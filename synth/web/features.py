def gallery(checkpoint, unit):
    pass
