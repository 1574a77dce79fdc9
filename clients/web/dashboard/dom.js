// Elements without a framework. Text is always text: whatever a player or a region wrote never becomes markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "on") for (const [kind, hear] of Object.entries(value)) element.addEventListener(kind, hear);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined && child !== false) element.append(child);
  return element;
}

export const h = (tag, props = {}, ...children) => fill(document.createElement(tag), props, children);
export const s = (tag, props = {}, ...children) => fill(document.createElementNS(SVG, tag), props, children);
export const $ = (id) => document.getElementById(id);

export function setText(element, text) {
  const now = String(text);
  if (element.textContent !== now) element.textContent = now;
}

export function setAttribute(element, name, value) {
  const now = String(value);
  if (element.getAttribute(name) !== now) element.setAttribute(name, now);
}

// Children by key: those that stay keep their element (and its focus), the order is that of `items`.
export function keyed(parent, items, keyOf, make, update) {
  const old = parent.byKey ?? new Map();
  const next = new Map();
  let before = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const element = old.get(key) ?? make(item);
    next.set(key, element);
    update?.(element, item);
    if (element === before) before = before.nextElementSibling;
    else parent.insertBefore(element, before);
  }
  for (const [key, element] of old) if (!next.has(key)) element.remove();
  parent.byKey = next;
}

// Asks before what somebody may regret; the answer, or null where it was cancelled.
export function ask(title, text, yes, { danger = false, note = false } = {}) {
  return new Promise((resolve) => {
    const input = note ? h("input", { maxlength: 256, "aria-label": "Note for the audit log", placeholder: "Why? (for the audit log)" }) : null;
    const dialog = h(
      "dialog",
      { class: "panel ask", "aria-labelledby": "ask-title" },
      h("h2", { id: "ask-title", text: title }),
      h("p", { text }),
      input,
      h(
        "div",
        { class: "row end" },
        h("button", { type: "button", text: "Cancel", on: { click: () => dialog.close() } }),
        h("button", { type: "button", class: danger ? "danger" : "primary", text: yes, on: { click: () => dialog.close("yes") } }),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? (input?.value ?? "") : null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
