// Finds and creates elements of the page.

export const find = (id) => document.getElementById(id);

export function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

// Text for screen readers only.
export function spoken(text) {
  const made = element("span", text);
  made.className = "spoken";
  return made;
}
