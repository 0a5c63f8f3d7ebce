// Choosing repositories: the running count, a page at a time; and going on to the forge.
(() => {
  const count = (form) => {
    const output = form.querySelector("[data-running]");
    if (!output) return;
    const boxes = [...form.querySelectorAll("input[name=on]")];
    const on = boxes.filter((box) => box.checked && !box.defaultChecked).length;
    const off = boxes.filter((box) => !box.checked && box.defaultChecked).length;
    output.textContent = on || off ? output.dataset.words.replace("{0}", on).replace("{1}", off) : "";
  };

  for (const form of document.querySelectorAll("form[data-picker]")) {
    form.addEventListener("change", () => count(form));
    for (const button of form.querySelectorAll("[data-tick]")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        for (const box of form.querySelectorAll("input[name=on]:not(:disabled)")) box.checked = button.dataset.tick === "all";
        count(form);
      });
    }
    // Ticks that are not saved would be lost with the page.
    document.querySelector("[data-keep]")?.addEventListener("click", (event) => {
      const changed = form.querySelector("[data-running]")?.textContent;
      if (changed && !window.confirm(event.currentTarget.dataset.keep)) event.preventDefault();
    });
  }

  document.querySelector("form[data-go-on]")?.requestSubmit();
})();
