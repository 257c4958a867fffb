new Explorer(
  document.getElementById("explorer"),
  JSON.parse(document.getElementById("explorer-data").textContent),
  { keys: document },
);
