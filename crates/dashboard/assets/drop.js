// A log that is dropped on any page is sent, and its report opens. The page to send logs from has its own place for it.
(() => {
  const veil = document.getElementById("drop-anywhere");
  if (!veil) return;
  const holds = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let inside = 0;
  document.addEventListener("dragenter", (event) => {
    if (!holds(event)) return;
    inside += 1;
    veil.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!holds(event)) return;
    inside = Math.max(0, inside - 1);
    veil.hidden = inside === 0;
  });
  document.addEventListener("dragover", (event) => { if (holds(event)) event.preventDefault(); });
  document.addEventListener("drop", async (event) => {
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    inside = 0;
    veil.hidden = false;
    veil.textContent = veil.dataset.reading;
    const form = new FormData();
    form.append("csrf", document.querySelector("input[name=csrf]").value);
    form.append("file", file);
    try {
      const answer = await fetch("/send", { method: "POST", body: form });
      // A refusal is a page with its reason and what to do: it is shown as it came.
      if (answer.ok) location.assign(answer.url);
      else document.querySelector("main").replaceChildren(...new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main").childNodes);
      if (!answer.ok) veil.hidden = true;
    } catch {
      veil.textContent = veil.dataset.failed;
      setTimeout(() => { veil.hidden = true; }, 3000);
    }
  });
})();
