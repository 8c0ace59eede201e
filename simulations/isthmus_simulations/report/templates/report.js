"use strict";
// Names the point under the pointer, and lets one platform stand out. Text is only ever set as text.
(() => {
  const source = document.getElementById("gallery-data");
  const maps = document.querySelector(".maps");
  if (!source || !maps) return;
  const data = JSON.parse(source.textContent);
  const tip = document.getElementById("tip");
  const [where, what, name] = ["b", "span", "div"].map((tag) => tip.appendChild(document.createElement(tag)));
  const reach = 14; // of a map's own units: how near a pointer must be
  let picked = null;

  const nearest = (points, x, y) => {
    let best = -1, least = reach * reach;
    points.forEach(([px, py], index) => {
      if (picked !== null && data.items[index][0] !== picked) return;
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) { least = distance; best = index; }
    });
    return best;
  };
  const rings = [...maps.querySelectorAll(".ring")];
  const hide = () => { tip.style.visibility = "hidden"; rings.forEach((ring) => { ring.style.visibility = "hidden"; }); };
  const show = (index, event) => {
    const [owner, category, text] = data.items[index];
    where.textContent = data.legend[owner];
    what.textContent = category;
    name.textContent = text;
    tip.style.visibility = "visible";
    const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    const above = event.clientY - tip.offsetHeight - 12;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${above < 8 ? event.clientY + 18 : above}px`;
    rings.forEach((ring, map) => {
      const [x, y] = data.maps[map][index];
      ring.setAttribute("cx", x);
      ring.setAttribute("cy", y);
      ring.style.visibility = "visible";
    });
  };
  maps.querySelectorAll(".map").forEach((map, place) => {
    const follow = (event) => {
      const box = map.getBoundingClientRect();
      const unit = map.viewBox.baseVal.width / box.width;
      const index = nearest(data.maps[place], (event.clientX - box.left) * unit, (event.clientY - box.top) * unit);
      if (index < 0) hide(); else show(index, event);
    };
    map.addEventListener("pointermove", follow);
    map.addEventListener("pointerdown", follow);
    map.addEventListener("pointerleave", hide);
  });
  const buttons = [...document.querySelectorAll(".legend button")];
  buttons.forEach((button, place) => button.addEventListener("click", () => {
    picked = picked === place ? null : place;
    maps.classList.toggle("picked", picked !== null);
    buttons.forEach((other, index) => other.setAttribute("aria-pressed", String(index === picked)));
    maps.querySelectorAll("path[data-platform]").forEach((path) => {
      path.classList.toggle("on", Number(path.dataset.platform) === picked);
    });
    hide();
  }));
})();
