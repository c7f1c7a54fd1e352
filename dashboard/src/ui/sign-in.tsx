import { useEffect, useRef, useState } from "preact/hooks";
import { enterToken, tokenNeeded } from "../api/token";

/** Asks for the operator's token. */
export function SignIn() {
  const [entered, setEntered] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const wrong = tokenNeeded.value === "wrong";
  useEffect(() => input.current?.focus(), []);
  return (
    <form class="sign-in panel" onSubmit={(event) => {
      event.preventDefault();
      if (entered.trim() !== "") enterToken(entered.trim());
    }}>
      <h1>This host has a token</h1>
      <p class="muted">
        Enter the token of the admin listener: the setting <code>admin_token</code>. It stays in this
        tab, and is forgotten when you close it.
      </p>
      <label for="token">Token</label>
      <input
        id="token" ref={input} type="password" autocomplete="off" spellcheck={false} value={entered}
        aria-invalid={wrong} aria-describedby={wrong ? "token-error" : undefined}
        onInput={(event) => setEntered(event.currentTarget.value)}
      />
      {wrong && <p id="token-error" class="error" role="alert">The host refused this token.</p>}
      <button type="submit" class="button primary" disabled={entered.trim() === ""}>Continue</button>
    </form>
  );
}
