/** Pictures to choose from: examples to start with, and the features of the representation. */

import { make } from "./dom.js";

/** A strip of examples, [{name, class, path}]; choose: called with an example and its loaded image. */
export function shelf(examples, folder, choose) {
  const buttons = examples.map((example) => {
    const { name, class: target, path } = example;
    const title = target && target !== name ? `${name} → ${target}` : name;
    const image = make("img", { src: folder + path, alt: title, loading: "lazy", decoding: "async" });
    const button = make("button", { type: "button", title, "aria-pressed": "false" }, image);
    image.onerror = () => button.remove();
    button.onclick = async () => {
      image.loading = "eager"; // it may not have come into sight yet
      await image.decode();
      press(buttons, button);
      choose(example, image);
    };
    return button;
  });
  return make("div", { class: "shelf", role: "group", "aria-label": "Or start from one of these" }, ...buttons);
}

/**
 * A grid of features, searched by class, with those that raise a class most first. about: of browser.json;
 * missing: called where their pictures cannot be read.
 */
export function featureGrid({ features, feature_sheet: sheet }, folder, first, choose, missing) {
  const rows = Math.ceil(features.length / sheet.columns);
  const share = (place, count) => `${count > 1 ? (100 * place) / (count - 1) : 0}%`;
  const address = new URL(folder + sheet.path, document.baseURI).href;
  const picture = `url("${address}")`;
  make("img", { src: address, onerror: missing });
  const buttons = features.map(({ index, name }) => {
    const pressed = String(index === first);
    const button = make("button", { type: "button", title: name, "aria-label": `Feature ${name}`, "aria-pressed": pressed });
    button.style.backgroundImage = picture;
    button.style.backgroundSize = `${sheet.columns * 100}% ${rows * 100}%`;
    button.style.backgroundPosition =
      `${share(index % sheet.columns, sheet.columns)} ${share(Math.floor(index / sheet.columns), rows)}`;
    button.onclick = () => (press(buttons, button), choose(index));
    return button;
  });
  const search = make("input", { type: "search", placeholder: "Search by class, such as a bird", "aria-label": "Search features" });
  search.oninput = () => {
    const wanted = search.value.trim().toLowerCase();
    features.forEach(({ index, classes }, place) => {
      const fits = String(index) === wanted || Object.keys(classes).some((name) => name.toLowerCase().includes(wanted));
      buttons[place].hidden = Boolean(wanted) && !fits;
    });
  };
  const help = make("small", { textContent: "Which component of the representation is raised; each is shown as it paints." });
  return make(
    "div",
    {},
    make("label", { class: "field" }, make("span", { textContent: "Feature" }), search, help),
    make("div", { class: "features", role: "group", "aria-label": "Features" }, ...buttons),
  );
}

function press(buttons, chosen) {
  for (const button of buttons) button.setAttribute("aria-pressed", String(button === chosen));
}
