// Tags and events as files, in the formats of the command fftp-tag. Results are
// {file, tags, events}, or {file, error}.

const rounded = (value) => Math.round(1e4 * value) / 1e4;

// As of the command; the page does not know what is read of damaged files.
export function toCsv(results) {
  // Spreadsheets must not take a text for a formula
  const safe = (text) => (/^[=+@\t\r]/.test(text) ? `'${text}` : text);
  const quote = (text) =>
    /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const rows = results.flatMap(({ file, events = [], error = "" }) => {
    const found = events.map(({ start, end, label, probability }) => [
      rounded(start),
      rounded(end),
      quote(safe(label)),
      rounded(probability),
    ]);
    if (!events.length) found.push(["", "", "", ""]);
    return found.map((row) =>
      [quote(safe(file)), ...row, "", "", quote(safe(error))].join(","),
    );
  });
  const columns =
    "file,start,end,label,probability,seconds_read,seconds_stated,error";
  return [columns, ...rows, ""].join("\n");
}

export function toJson(results) {
  const round = (_, value) =>
    typeof value === "number" ? rounded(value) : value;
  return JSON.stringify(results, round, 2);
}

export function toAudacity(events) {
  const rows = events.map(
    ({ start, end, label }) =>
      `${start.toFixed(6)}\t${end.toFixed(6)}\t${label.split(/\s+/).join(" ")}`,
  );
  return [...rows, ""].join("\n");
}

// Saves a text as a file, as a download of the browser.
export function save(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
