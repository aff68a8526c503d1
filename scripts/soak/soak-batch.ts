/** What the soak and its workers tell each other. */
export interface Batch {
  seed: number;
  sequences: number;
}

export interface BatchResult {
  sequences: number;
  commands: number;
  moves: [string, number][];
  refusals: [string, number][];
  /** Each as it was told; none when service and model agreed. */
  divergences: string[];
}
