// Comforts on top of pages that work without a script: keys, copying, menus that close.
"use strict";
(() => {
  const typing = (element) => element && (element.isContentEditable || /^(input|textarea|select)$/i.test(element.tagName));
  let goes = 0;

  const rows = () => [...document.querySelectorAll("[data-row]")];
  const move = (by) => {
    const all = rows();
    if (all.length === 0) return;
    const at = all.findIndex((row) => row.classList.contains("at"));
    const next = Math.min(all.length - 1, Math.max(0, at + by));
    all.forEach((row) => row.classList.remove("at"));
    all[next].classList.add("at");
    all[next].scrollIntoView({ block: "nearest" });
    const link = all[next].querySelector("a[href]");
    if (link) link.focus({ preventScroll: true });
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const key = event.key;
    if (Date.now() - goes < 1500) {
      goes = 0;
      const link = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
      if (link) { event.preventDefault(); link.click(); return; }
    }
    if (key === "g") { goes = Date.now(); return; }
    if (key === "j") move(1);
    else if (key === "k") move(-1);
    else if (key === "?") document.getElementById("keys")?.showModal();
    else if (key === "/") {
      event.preventDefault();
      document.querySelector("[data-key='/']")?.focus();
    }
  });

  // Browsers give the clipboard to encrypted pages only; on others the older way, and where that is refused too the
  // text is selected, so that one key copies it.
  const copied = async (text, source) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const held = document.createElement("textarea");
      held.value = text;
      held.className = "hidden";
      document.body.append(held);
      held.select();
      const done = document.execCommand("copy");
      held.remove();
      if (!done && source?.select) source.select();
      else if (!done && source) getSelection().selectAllChildren(source);
      return done;
    }
  };

  // `data-copy`: a text, or `#id` of what holds it. `data-copy-address`: an address, of this page where it is empty.
  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy], [data-copy-address]");
    if (copy) {
      const address = copy.dataset.copyAddress;
      const what = copy.dataset.copy ?? "";
      const source = what.startsWith("#") ? document.querySelector(what) : null;
      const text = address === undefined ? (source ? (source.value ?? source.textContent) : what)
        : new URL(address || location.href, location.href).href;
      const before = copy.textContent;
      if (await copied(text.trim(), source)) {
        copy.textContent = copy.dataset.copied || before;
        copy.focus();
        setTimeout(() => { copy.textContent = before; }, 1500);
      }
    }
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  // On a phone the navigation is a bar that scrolls: the page that is shown is in it to be seen.
  const [bar, here] = [document.querySelector(".side"), document.querySelector(".side [aria-current]")];
  const show = () => { bar.scrollLeft = here.offsetLeft - (bar.clientWidth - here.offsetWidth) / 2; };
  if (bar && here) { show(); window.addEventListener("resize", show); }

  // A form that changes its page when a choice changes; without a script its button does it.
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-instant]");
    if (form) form.requestSubmit();
  });

  // What destroys asks first, in the page's own words.
  document.addEventListener("submit", (event) => {
    const words = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
    if (words && !window.confirm(words)) event.preventDefault();
  });
})();
