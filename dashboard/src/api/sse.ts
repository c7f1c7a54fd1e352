/** A parser for `text/event-stream`. Pieces of the stream go in, events come out. */

export type OnEvent = (name: string, data: string) => void;

/** Returns a function that takes the next piece of the stream. */
export function parser(onEvent: OnEvent): (piece: string) => void {
  let rest = "";
  let name = "";
  let data: string[] = [];

  const line = (text: string) => {
    if (text === "") {
      if (data.length > 0) onEvent(name === "" ? "message" : name, data.join("\n"));
      name = "";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return; // a comment
    const field = colon < 0 ? text : text.slice(0, colon);
    let value = colon < 0 ? "" : text.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "event") name = value;
    if (field === "data") data.push(value);
  };

  return (piece) => {
    let from = 0;
    for (;;) {
      const end = piece.indexOf("\n", from);
      if (end < 0) break;
      const text = rest + piece.slice(from, end);
      rest = "";
      from = end + 1;
      line(text.endsWith("\r") ? text.slice(0, -1) : text);
    }
    rest += piece.slice(from);
  };
}
