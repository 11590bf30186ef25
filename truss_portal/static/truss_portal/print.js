"use strict";
// A button that prints the page, where a site's Content-Security-Policy allows no script inside of it.
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-truss-print]")) window.print();
});
