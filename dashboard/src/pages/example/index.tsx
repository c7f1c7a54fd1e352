/** One picture under two deadlines: what a function does with the time that it has. */

import { useEffect, useRef, useState } from "preact/hooks";
import { functions as fetchFunctions, invoke } from "../../api/client";
import { connection } from "../../api/events";
import { tokenNeeded } from "../../api/token";
import type { InvokeResult } from "../../api/types";
import { Empty, Problem } from "../../ui/empty";
import { Picture } from "./picture";

const NAME = "mandelbrot";
const SIZE = { width: 640, height: 480 };
const ITERATIONS = 2_000;

interface Side {
  timeout: string;
  busy: boolean;
  result: InvokeResult | null;
  error: unknown;
}

const side = (timeout: string): Side => ({ timeout, busy: false, result: null, error: null });

export function ExamplePage() {
  const deployed = useDeployed();
  const [sides, setSides] = useState<[Side, Side]>([side("30"), side("900")]);
  const ran = useRef(false);

  const set = (index: number, changes: Partial<Side>) => {
    setSides((old) => old.map((one, i) => (i === index ? { ...one, ...changes } : one)) as [Side, Side]);
  };
  const draw = async (index: number, timeout: string) => {
    set(index, { busy: true, error: null });
    try {
      const path = `/${NAME}?width=${SIZE.width}&height=${SIZE.height}&iterations=${ITERATIONS}`;
      set(index, { busy: false, result: await invoke(NAME, { method: "GET", path, headers: [], body: "", timeout_ms: Number(timeout) }) });
    } catch (error) {
      set(index, { busy: false, result: null, error });
    }
  };
  const drawBoth = () => void Promise.all(sides.map((one, index) => draw(index, one.timeout)));

  useEffect(() => {
    if (deployed === true && !ran.current) {
      ran.current = true;
      drawBoth();
    }
  }, [deployed]);

  const busy = sides.some((one) => one.busy);
  return (
    <div class="example">
      <div class="page-head">
        <h1>One picture, two deadlines</h1>
        <p class="muted">
          <code>{NAME}</code> draws coarse blocks first and finer ones over them. It checks its context, and when the
          deadline has passed, it responds within its grace period with what it has.
        </p>
      </div>
      {deployed === false
        ? <div class="panel"><Empty title={`The function ${NAME} is not deployed on this host.`}>
            <p>It is among the examples: <code>hourglass up examples --admin 127.0.0.1:9090</code></p>
          </Empty></div>
        : deployed === null ? <Empty title="Loading …" />
        : deployed !== true ? <Problem title="The functions are not available" error={deployed} />
        : <>
            <div class="example-sides">
              {sides.map((one, index) => (
                <section key={index} class="panel example-side" aria-label={`Picture ${index + 1}`}>
                  <form class="toolbar" onSubmit={(event) => {
                    event.preventDefault();
                    void draw(index, one.timeout);
                  }}>
                    <label class="inline">Time{" "}
                      <input type="number" min="1" max="10000" required value={one.timeout} onInput={(event) => set(index, { timeout: event.currentTarget.value })} /> ms
                    </label>
                    <button type="submit" class="button" disabled={one.busy}>Draw</button>
                  </form>
                  {one.error !== null && <Problem title="The picture was not drawn" error={one.error} />}
                  <Picture result={one.result} busy={one.busy} width={SIZE.width} height={SIZE.height} timeout={Number(one.timeout)} />
                </section>
              ))}
            </div>
            <p><button type="button" class="button primary" disabled={busy} onClick={drawBoth}>{busy ? "Drawing …" : "Draw both again"}</button></p>
          </>}
    </div>
  );
}

/** Whether the example is deployed; null until that is known, or why it is not. */
function useDeployed(): boolean | null | Error {
  const [deployed, setDeployed] = useState<boolean | null | Error>(null);
  const isLive = connection.value.state === "live";
  const isOut = tokenNeeded.value !== "no";
  useEffect(() => {
    const abort = new AbortController();
    fetchFunctions(abort.signal).then(
      (list) => setDeployed(list.some((one) => one.name === NAME)),
      (error: unknown) => {
        if (!abort.signal.aborted) setDeployed(error instanceof Error ? error : new Error(String(error)));
      },
    );
    return () => abort.abort();
  }, [isLive, isOut]);
  return deployed;
}
