(function () {
  function values(cell) {
    return cell.dataset.csv ? JSON.parse(cell.dataset.csv) : [cell.textContent.trim()];
  }
  // Spreadsheets run a text that begins like a formula, also after what they take for a separator.
  var formula = /^(?=[=+\-@\t\r\uFF1D\uFF0B\uFF0D\uFF20])/;
  var within = /([;\t\r\n])(?=[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])/g;
  var number = /^[+-]?(\d[\d.,]*(e[+-]?\d+)?|inf)$/i;
  function field(value) {
    var text = value === null ? "" : String(value);
    if (!number.test(text)) text = text.replace(within, "$1'").replace(formula, "'");
    return /[",\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  }
  function csvOf(table) {
    return Array.from(table.querySelectorAll("tr:not(.group)"), function (row) {
      return Array.from(row.cells, function (cell) { return values(cell).map(field); })
        .flat().join(",");
    }).join("\n") + "\n";
  }
  function copyByHand(text) {
    var area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    document.body.appendChild(area);
    area.focus();
    area.select();
    var copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
  document.addEventListener("click", function (event) {
    var button = event.target.closest("button.copy");
    if (!button) return;
    var text = csvOf(document.getElementById(button.dataset.table));
    function say(copied) {
      button.textContent = copied === false ? "could not copy" : "copied";
      setTimeout(function () { button.textContent = "copy as CSV"; }, 1500);
    }
    function byHand() {
      say(copyByHand(text));
      button.focus();
    }
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(say, byHand);
    else byHand();
  });
  // What is folded on the screen is printed, and found where a link leads into it.
  var opened = [];
  addEventListener("beforeprint", function () {
    opened = Array.from(document.querySelectorAll("details:not([open])"));
    opened.forEach(function (one) { one.open = true; });
  });
  addEventListener("afterprint", function () {
    opened.forEach(function (one) { one.open = false; });
  });
  function unfold() {
    var target = document.getElementById(location.hash.slice(1));
    for (var one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    if (target) target.scrollIntoView();
  }
  addEventListener("hashchange", unfold);
  if (location.hash) unfold();
})();
