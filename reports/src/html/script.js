// Only adds filtering: without scripts, everything is there.
(function () {
  "use strict";
  var tools = document.getElementById("tools");
  var findings = Array.prototype.slice.call(document.querySelectorAll("details.finding"));
  if (!tools || findings.length === 0) { return; }
  var search = document.getElementById("filter");
  var count = document.getElementById("filter-count");
  var texts = findings.map(function (finding) { return finding.textContent.toLowerCase(); });
  function apply() {
    var wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    var shown = 0;
    findings.forEach(function (finding, index) {
      var fits = wanted.every(function (word) { return texts[index].indexOf(word) >= 0; });
      finding.hidden = !fits;
      shown += fits ? 1 : 0;
    });
    count.textContent = shown + " of " + findings.length + " shown";
  }
  search.addEventListener("input", apply);
  document.getElementById("open-all").addEventListener("click", function () {
    var open = findings.some(function (finding) { return !finding.open && !finding.hidden; });
    findings.forEach(function (finding) { if (!finding.hidden) { finding.open = open; } });
  });
  function follow() {
    var target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") { target.hidden = false; target.open = true; }
  }
  window.addEventListener("hashchange", follow);
  tools.hidden = false;
  apply();
  follow();
}());
