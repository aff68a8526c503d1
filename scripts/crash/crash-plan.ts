/** Which request dies where, and what has been learnt of where requests pass. */
import { CRASH_POINTS, type CrashPoint } from '../../src/kernel/crash-points.ts';
import { LIVES, type Step } from './lives.ts';
import type { Arm } from './service-processes.ts';

/** A life, and for each of its steps the deaths that the request dies before it is answered, in order. */
export interface Errand {
  steps: readonly Step[];
  deaths: (step: number) => Arm[];
}

/** A request passes some points several times, and others never; both are found out by trying. */
export class Reach {
  readonly #highest = new Map<string, number>();
  readonly #tooMany = new Map<string, number>();

  died(step: string, { point, passes }: { point: CrashPoint; passes: number }): void {
    const key = `${step} ${point}`;
    this.#highest.set(key, Math.max(passes, this.#highest.get(key) ?? 0));
  }

  survived(step: string, { point, passes }: { point: CrashPoint; passes: number }): void {
    const key = `${step} ${point}`;
    this.#tooMany.set(key, Math.min(passes, this.#tooMany.get(key) ?? Infinity));
  }

  /** One pass more each round, as far as there are any; then from the first again. */
  arm(step: string, point: CrashPoint, round: number): Arm[] {
    const key = `${step} ${point}`;
    const most = (this.#tooMany.get(key) ?? (this.#highest.get(key) ?? 0) + 2) - 1;
    return most < 1 ? [] : [{ point, passes: (round % most) + 1 }];
  }
}

/** Every `stride`-th point, in the order in which they are passed; the first one changes from step to step. */
function errandsOf(reach: Reach, round: number, stride: number, offset: number): Errand[] {
  return LIVES.map((steps) => ({
    steps,
    deaths: (index) =>
      CRASH_POINTS.filter((_, place) => place % stride === (index + offset) % stride).flatMap((point) =>
        reach.arm(steps[index]?.name ?? '', point, round),
      ),
  }));
}

const anywhere = (times: number): Errand[] =>
  LIVES.map((steps) => ({ steps, deaths: () => Array.from({ length: times }, (): Arm => 'anywhere') }));

/** Every point at least once, in as few starts as that takes. */
export const quickPlan = (reach: Reach): Errand[] => [...errandsOf(reach, 0, 8, 0), ...anywhere(1).slice(1)];

/** One round of every point in every mutation. */
export const fullRound = (reach: Reach, round: number): Errand[] => [
  ...errandsOf(reach, round, 3, 0),
  ...errandsOf(reach, round, 3, 1),
  ...errandsOf(reach, round, 3, 2),
  ...anywhere(3),
];
