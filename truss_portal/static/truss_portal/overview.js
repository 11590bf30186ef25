"use strict";
// Draws the overview's tables as charts, in the admin's colors. Without this script, or without Chart, there are the tables.
(() => {
  const data = document.getElementById("truss-charts");
  const places = [...document.querySelectorAll("[data-truss-chart]")];
  if (!data || !window.Chart) return;
  const rows = JSON.parse(data.textContent);
  const language = document.documentElement.lang || undefined;
  // Dollars as the tables have them, in every language: see `money` in plain_words.py.
  const short = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", notation: "compact" });

  const days = new Intl.DateTimeFormat(language, { month: "short", day: "numeric", timeZone: "UTC" });

  // A theme that doesn't know the admin's variables gets colors that are readable on light and on dark.
  function color(name, otherwise) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || otherwise;
  }

  function colors() {
    return {
      text: color("--body-quiet-color", "#808080"),
      line: color("--hairline-color", "#80808040"),
      bar: color("--button-bg", "#417690"),
      late: color("--error-fg", "#ba2121"),
    };
  }

  // Money owed lies on its side, the longest names fit there; weeks stand.
  function settings(name, own, colored) {
    const lying = name === "ages";
    const amounts = { ticks: { color: colored.text, callback: (value) => short.format(value), maxTicksLimit: 6 }, grid: { color: colored.line }, beginAtZero: true };
    const labels = { ticks: { color: colored.text, autoSkip: !lying }, grid: { display: false } };
    return {
      type: "bar",
      data: {
        labels: own.map((row) => (row.begin ? days.format(new Date(row.begin)) : row.label)),
        datasets: [
          {
            data: own.map((row) => Number(row.amount)),
            backgroundColor: own.map((row, index) => (lying && index > 0 ? colored.late : colored.bar)),
            maxBarThickness: 28,
          },
        ],
      },
      options: {
        indexAxis: lying ? "y" : "x",
        animation: false,
        maintainAspectRatio: false,
        scales: lying ? { x: amounts, y: labels } : { x: labels, y: amounts },
        plugins: {
          legend: { display: false },
          tooltip: { callbacks: { title: ([item]) => own[item.dataIndex].label, label: (item) => own[item.dataIndex].shown } },
        },
        // As a click on the table's row.
        onClick: (_event, hit) => {
          const url = hit.length ? own[hit[0].index].url : "";
          if (url) window.location.assign(url);
        },
        onHover: (event, hit) => {
          event.native.target.style.cursor = hit.length && own[hit[0].index].url ? "pointer" : "default";
        },
      },
    };
  }

  const drawn = new Map();
  function draw() {
    const colored = colors();
    for (const place of places) {
      const own = rows[place.dataset.trussChart];
      place.hidden = !own || !own.some((row) => Number(row.amount));
      drawn.get(place)?.destroy();
      if (!place.hidden) drawn.set(place, new window.Chart(place.querySelector("canvas"), settings(place.dataset.trussChart, own, colored)));
    }
  }

  draw();
  // Somebody switches between light and dark.
  new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class"] });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
