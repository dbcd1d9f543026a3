// The live page: asks its server whether the study has moved on, and takes the new page's content when it has.
(() => {
  let version = null;
  async function refresh() {
    try {
      const answer = await fetch("version", { cache: "no-store" });
      const current = await answer.text();
      if (version !== null && current !== version) {
        const page = await (await fetch("./", { cache: "no-store" })).text();
        const next = new DOMParser().parseFromString(page, "text/html").getElementById("page");
        document.getElementById("page").replaceWith(document.importNode(next, true));
        document.dispatchEvent(new Event("layermix:replaced"));
      }
      version = current;
      document.documentElement.classList.remove("offline");
    } catch {
      // The server is gone: the page stays as it is and keeps asking.
      document.documentElement.classList.add("offline");
    }
    setTimeout(refresh, 2000);
  }
  refresh();
})();
