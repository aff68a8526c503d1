/** What processes use, from /proc; where there is none, nothing is known, and the figures are NaN. */
import { readFile } from 'node:fs/promises';

type Process = { pid?: number | undefined };

const MS_PER_TICK = 10;

/** In MiB. */
export async function residentMemory({ pid }: Process): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024);
}

/** Processor time that the process has spent so far. */
export async function cpuMs({ pid }: Process): Promise<number> {
  const [user, system] = await timesOf(pid);
  return user + system;
}

/** Of it and its children, those that have ended too. */
export async function cpuMsOfAll({ pid }: Process): Promise<number> {
  const [user, system, ofEnded, systemOfEnded] = await timesOf(pid);
  let sum = user + system + ofEnded + systemOfEnded;
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  for (const child of children.split(' ').filter(Boolean)) {
    const spent = await cpuMs({ pid: Number(child) });
    // One that has ended meanwhile counts as its parent's the next time.
    if (!Number.isNaN(spent)) sum += spent;
  }
  return sum;
}

export async function parentOf(pid: number | undefined): Promise<Process> {
  return { pid: Number((await fieldsOf(pid))[1]) };
}

/** Its own, and that of its ended children, in user and in system mode: fields 14 to 17 of proc(5). */
async function timesOf(pid: number | undefined): Promise<[number, number, number, number]> {
  const fields = await fieldsOf(pid);
  const time = (index: number) => Number(fields[index]) * MS_PER_TICK;
  return [time(11), time(12), time(13), time(14)];
}

/** Those of /proc/…/stat behind the name, which may have spaces: from the third on. */
async function fieldsOf(pid: number | undefined): Promise<string[]> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
}
