// Tags and events as files, in the formats of the command fftp-tag.

export function toCsv(name, events) {
  const quote = (text) =>
    /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const rows = events.map(({ start, end, label, probability }) =>
    [quote(name), start, end, quote(label), probability].join(","),
  );
  return ["file,start,end,label,probability", ...rows, ""].join("\n");
}

export function toJson(name, tags, events) {
  return JSON.stringify({ file: name, tags, events }, null, 2);
}

export function toAudacity(events) {
  const rows = events.map(
    ({ start, end, label }) =>
      `${start.toFixed(6)}\t${end.toFixed(6)}\t${label.split(/\s+/).join(" ")}`,
  );
  return [...rows, ""].join("\n");
}

// Lets the browser save a text as a file.
export function save(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
