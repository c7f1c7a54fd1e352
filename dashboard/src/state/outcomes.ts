/** Outcomes in groups that a reader tells apart by color and by shape. */

export type Group = "response" | "deadline" | "canceled" | "fault" | "refused" | "host";

export const GROUPS: readonly Group[] = [
  "response", "deadline", "canceled", "fault", "refused", "host",
];

export const GROUP_LABELS: Record<Group, string> = {
  response: "response",
  deadline: "deadline",
  canceled: "canceled",
  fault: "failed",
  refused: "refused",
  host: "host",
};

const GROUP_OF: Record<string, Group> = {
  response: "response",
  "deadline-exceeded": "deadline",
  canceled: "canceled",
  trap: "fault",
  exit: "fault",
  "out-of-memory": "fault",
  "bad-response": "fault",
  "response-too-large": "fault",
  "body-too-large": "refused",
  "bad-request": "refused",
  "not-found": "refused",
  busy: "refused",
  draining: "refused",
  forbidden: "refused",
  "depth-exceeded": "refused",
  "calls-exceeded": "refused",
  host: "host",
};

/** The group of an outcome. A name that this page doesn't know is a failure. */
export function group(outcome: string): Group {
  return GROUP_OF[outcome.replaceAll("_", "-")] ?? "fault";
}

/** The group with the most of these outcomes, responses apart. */
export function worst(outcomes: Record<string, number>): Group {
  const [name] = Object.entries(outcomes)
    .filter(([outcome]) => group(outcome) !== "response")
    .reduce((most, one) => (one[1] > most[1] ? one : most), ["trap", 0]);
  return group(name);
}
