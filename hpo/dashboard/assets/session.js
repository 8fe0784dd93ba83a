// Loaded before the bundled front-end: its requests carry what shows that they come from this page, and whoever is no
// longer logged in is asked to log in again.
(() => {
  const token = document.querySelector('meta[name="csrf-token"]').content;
  const plain = window.fetch;
  window.fetch = async (resource, options = {}) => {
    const method = (options.method || "GET").toUpperCase();
    if (method !== "GET" && method !== "HEAD") {
      const headers = new Headers(options.headers);
      headers.set("X-CSRF-Token", token);
      options = { ...options, headers };
    }
    const answer = await plain(resource, options);
    if (answer.status === 401) {
      window.location.assign("/login?next=" + encodeURIComponent(window.location.pathname));
    }
    return answer;
  };
})();
