import type { ComponentChildren } from "preact";

/** What a view shows while it has nothing to show, and what to do about that. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export function Problem({ title, error }: { title: string; error: unknown }) {
  return (
    <div class="notice notice-bad" role="alert">
      <strong>{title}.</strong> {message(error)}
    </div>
  );
}

export function message(error: unknown): string {
  if (error instanceof TypeError) return "The host is not reachable.";
  return error instanceof Error ? error.message : String(error);
}
