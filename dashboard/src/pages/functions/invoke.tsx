import { useRef, useState } from "preact/hooks";
import { invoke } from "../../api/client";
import type { FunctionInfo, InvokeResult } from "../../api/types";
import { Problem } from "../../ui/empty";
import { Cross } from "../../ui/icons";
import { InvokeResponse } from "./response";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

interface Header {
  key: number;
  name: string;
  value: string;
}

/** A request, entered by hand. */
export function InvokeForm({ info, path: given }: { info: FunctionInfo; path: string | null }) {
  const [method, setMethod] = useState("GET");
  const [path, setPath] = useState(given ?? plain(info.routes[0]) ?? `/${info.name}`);
  const [timeout, setTimeout] = useState("");
  const [body, setBody] = useState("");
  const [headers, setHeaders] = useState<Header[]>([]);
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState<InvokeResult | null>(null);
  const [error, setError] = useState<unknown>(null);
  const nextKey = useRef(0);

  const submit = async () => {
    setBusy(true);
    setError(null);
    try {
      setResult(await invoke(info.name, {
        method,
        path,
        headers: headers.filter((one) => one.name.trim() !== "").map((one) => [one.name.trim(), one.value]),
        body,
        timeout_ms: timeout.trim() === "" ? null : Number(timeout),
      }));
    } catch (problem) {
      setResult(null);
      setError(problem);
    }
    setBusy(false);
  };
  const edit = (key: number, changes: Partial<Header>) => {
    setHeaders(headers.map((one) => (one.key === key ? { ...one, ...changes } : one)));
  };

  return (
    <>
      <section class="panel invoke" aria-labelledby="invoke-title">
        <div class="panel-head"><h2 id="invoke-title">Invoke</h2></div>
        <form onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}>
          <div class="form-line">
            <label class="field">Method
              <select value={method} onChange={(event) => setMethod(event.currentTarget.value)}>
                {METHODS.map((one) => <option key={one}>{one}</option>)}
              </select>
            </label>
            <label class="field grow">Path
              <input type="text" class="mono" spellcheck={false} required pattern="/.*" title="A path begins with a slash" value={path} onInput={(event) => setPath(event.currentTarget.value)} />
            </label>
            <label class="field budget">Timeout in ms
              <input type="number" min="1" step="1" placeholder={info.limits["timeout"] ?? "its timeout"} value={timeout} onInput={(event) => setTimeout(event.currentTarget.value)} />
            </label>
          </div>
          <fieldset>
            <legend>Headers</legend>
            {headers.map((one, index) => (
              <div class="form-line" key={one.key}>
                <input type="text" class="mono" aria-label={`Name of header ${index + 1}`} placeholder="name" spellcheck={false} value={one.name} onInput={(event) => edit(one.key, { name: event.currentTarget.value })} />
                <input type="text" class="mono grow" aria-label={`Value of header ${index + 1}`} placeholder="value" spellcheck={false} value={one.value} onInput={(event) => edit(one.key, { value: event.currentTarget.value })} />
                <button type="button" class="icon-button" aria-label={`Remove header ${index + 1}`} onClick={() => setHeaders(headers.filter((other) => other !== one))}><Cross /></button>
              </div>
            ))}
            <button type="button" class="button small" onClick={() => setHeaders([...headers, { key: nextKey.current++, name: "", value: "" }])}>Add a header</button>
          </fieldset>
          <label class="field">Body
            <textarea class="mono" rows={3} spellcheck={false} value={body} onInput={(event) => setBody(event.currentTarget.value)} />
          </label>
          <div class="form-line">
            <button type="submit" class="button primary" disabled={busy}>{busy ? "Running …" : "Invoke"}</button>
          </div>
        </form>
        {error !== null && <Problem title="The host refused the request" error={error} />}
      </section>
      {result && <InvokeResponse result={result} />}
    </>
  );
}

/** A route without parameters can be used as a path. */
function plain(route: string | undefined): string | undefined {
  return route !== undefined && /^\/[^{}*]*$/.test(route) ? route : undefined;
}
