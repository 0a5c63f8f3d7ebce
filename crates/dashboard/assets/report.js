// Reports and logs: choosing ranges of lines, dropping files. All of it also works without.
(() => {
  document.documentElement.classList.add("js");

  // A click on a line number chooses the line, with Shift all from the last one on. The address says what is chosen.
  const line = (number) => document.getElementById(`L${number}`);
  const chosen = () => (new URLSearchParams(location.search).get("lines") || "").split("-").map(Number).filter(Boolean);
  document.addEventListener("click", (event) => {
    const number = Number(event.target.closest(".log.whole .n")?.textContent);
    if (!number || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const from = event.shiftKey && chosen()[0] ? chosen()[0] : number;
    const [start, end] = [Math.min(from, number), Math.max(from, number)];
    const query = new URLSearchParams(location.search);
    for (const name of ["from", "part"]) query.delete(name);
    query.set("lines", end > start ? `${start}-${end}` : `${start}`);
    history.replaceState(history.state, "", `?${query}#L${start}`);
    document.querySelectorAll(".log.whole .line.selected").forEach((old) => old.classList.remove("selected"));
    for (let at = start; at <= end; at += 1) line(at)?.classList.add("selected");
  });

  // A file that is dropped anywhere on the form is the chosen one.
  for (const form of document.querySelectorAll("form[data-drop]")) {
    const [input, zone] = [form.querySelector("input[type=file]"), form.querySelector(".drop")];
    for (const name of ["dragenter", "dragover"]) {
      form.addEventListener(name, (event) => {
        if (![...event.dataTransfer.types].includes("Files")) return;
        event.preventDefault();
        zone.classList.add("over");
      });
    }
    form.addEventListener("dragleave", (event) => { if (!form.contains(event.relatedTarget)) zone.classList.remove("over"); });
    form.addEventListener("drop", (event) => {
      if (event.dataTransfer.files.length === 0) return;
      event.preventDefault();
      zone.classList.remove("over");
      input.files = event.dataTransfer.files;
    });
  }
})();
