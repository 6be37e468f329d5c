/** The settings in the page's address, so that a link repeats a picture. */

/** {task, checkpoint, name: value, ...} of the address. */
export function readLink() {
  const entries = [...new URLSearchParams(location.hash.slice(1))];
  const value = (text) => (text !== "" && Number.isFinite(Number(text)) ? Number(text) : text);
  return Object.fromEntries(entries.map(([name, text]) => [name, value(text)]));
}

/** Put the settings that differ from `usual` into the address. */
export function writeLink(place, values, usual) {
  const kept = Object.entries(values).filter(([name, value]) => value !== null && value !== usual[name]);
  const link = new URLSearchParams([...Object.entries(place), ...kept]);
  history.replaceState(null, "", `#${link}`);
}
