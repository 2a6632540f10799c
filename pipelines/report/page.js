"use strict";
// Click a picture to enlarge it; arrows go through its gallery, Escape closes. Without script the page is whole.
(() => {
  const pictures = [...document.querySelectorAll(".tile img")];
  const dialog = document.createElement("dialog");
  const large = document.createElement("img");
  const caption = document.createElement("p");
  let gallery = [], at = 0;

  const show = (index) => {
    at = (index + gallery.length) % gallery.length;
    const figure = gallery[at].closest("figure");
    large.src = gallery[at].src;
    large.alt = gallery[at].alt;
    const lines = [...figure.querySelectorAll("figcaption > span:not(.id)")].map((s) => s.textContent.trim());
    caption.textContent = [...lines, figure.dataset.id].join("  ·  ");
  };
  const open = (picture) => {
    gallery = [...picture.closest(".tiles").querySelectorAll("img")];
    show(gallery.indexOf(picture));
    dialog.showModal();
  };
  const button = (name, text, label, act) => {
    const made = document.createElement("button");
    made.className = name;
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", (event) => { event.stopPropagation(); act(); });
    dialog.append(made);
  };

  dialog.setAttribute("aria-label", "Enlarged picture");
  dialog.tabIndex = -1;
  dialog.autofocus = true;
  dialog.append(large, caption);
  button("prev", "‹", "Previous", () => show(at - 1));
  button("next", "›", "Next", () => show(at + 1));
  button("close", "×", "Close", () => dialog.close());
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => gallery[at].focus());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(at - 1);
    if (event.key === "ArrowRight") show(at + 1);
  });
  document.body.append(dialog);

  for (const picture of pictures) {
    picture.tabIndex = 0;
    picture.setAttribute("role", "button");
    picture.addEventListener("click", () => open(picture));
    picture.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      open(picture);
    });
  }
})();
