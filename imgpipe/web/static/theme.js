// Before the first paint: the theme that was chosen here, if any. Not a module, for those wait.
try {
  const chosen = localStorage.getItem("imgpipe-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch { /* storage is switched off: the system's theme it is */ }
