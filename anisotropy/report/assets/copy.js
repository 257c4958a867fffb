document.addEventListener("click", function (event) {
  var button = event.target.closest("button.copy");
  if (!button) return;
  var rows = Array.from(document.getElementById(button.dataset.table).rows);
  var csv = rows.map(function (row) {
    return Array.from(row.cells).map(function (cell) {
      var text = "whole" in cell.dataset ? cell.dataset.whole : cell.textContent.trim();
      return /[",\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
    }).join(",");
  }).join("\n");
  function done() {
    button.textContent = "copied";
    setTimeout(function () { button.textContent = "copy as CSV"; }, 1500);
  }
  function byHand() {
    var area = document.createElement("textarea");
    area.value = csv;
    document.body.appendChild(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    done();
  }
  if (navigator.clipboard) navigator.clipboard.writeText(csv).then(done, byHand);
  else byHand();
});
