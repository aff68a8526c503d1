/** A real SMTP server (smtp-server) that can be down, slow, in a bad mood, or die in the middle, and counts what it got. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

/** What the server does with the next messages. */
export interface Mood {
  /** How long it takes for each message. */
  slowMs?: number;
  /** What it answers to a recipient; nothing is welcome. */
  refuseRecipient?: (address: string) => string | undefined;
  /** What it answers to a whole message, by the how-manieth time it gets it. */
  refuseMessage?: (messageId: string, times: number) => string | undefined;
  /** Whether it takes the whole message, and breaks the connection in place of an answer. */
  diesAfterData?: (messageId: string, times: number) => boolean;
}

/** Certificate and key of the server, PEM; without them it offers no TLS. */
export interface Papers {
  key: string;
  cert: string;
}

/** The door keeps its port while the server behind it goes and comes. */
export class MailRoom {
  mood: Mood = {};
  /** How often each message was received whole and not refused, by Message-ID. */
  readonly received = new Map<string, number>();
  /** Messages that were answered with success. */
  readonly accepted = new Set<string>();
  /** Messages after which it died instead of answering. */
  readonly diedAfter = new Set<string>();
  /** The last text of each message. */
  readonly messages = new Map<string, string>();
  /** Envelope recipients, each as it was given. */
  readonly recipients: string[] = [];
  /** How often each was seen, refused ones too. */
  readonly #seen = new Map<string, number>();
  readonly #door: Server;
  readonly #sockets = new Set<Socket>();
  #server: SMTPServer | undefined;

  private constructor(door: Server) {
    this.#door = door;
  }

  static async open(papers?: Papers): Promise<MailRoom> {
    const door = createServer();
    const room = new MailRoom(door);
    door.on('connection', (socket) => room.#lead(socket));
    door.listen(0, '127.0.0.1');
    await once(door, 'listening');
    await room.serve(papers);
    return room;
  }

  get port(): number {
    return (this.#door.address() as AddressInfo).port;
  }

  /** A server behind the door, in the place of one that may be there. `wrong`: with a certificate that nobody trusts. */
  async serve(papers?: Papers | 'wrong'): Promise<void> {
    await this.shut();
    const tls: SMTPServerOptions =
      papers === undefined
        ? { hideSTARTTLS: true, disabledCommands: ['STARTTLS'] }
        : papers === 'wrong'
          ? {}
          : papers;
    const server = new SMTPServer({
      ...tls,
      authOptional: true,
      disableReverseLookup: true,
      logger: false,
      closeTimeout: 100,
      onRcptTo: ({ address }, _session, done) => {
        const refusal = this.mood.refuseRecipient?.(address);
        if (refusal === undefined) this.recipients.push(address);
        done(refusal === undefined ? null : refused(refusal));
      },
      onData: (stream, session, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => this.#take(Buffer.concat(chunks).toString('utf8'), session.id, done));
      },
    });
    // Broken connections are what this is for.
    server.on('error', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#server = server;
  }

  /** Down: connections are broken, and new ones lead nowhere. */
  async shut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  async close(): Promise<void> {
    await this.shut();
    this.#door.close();
  }

  #lead(socket: Socket): void {
    const port = (this.#server?.server.address() as AddressInfo | null | undefined)?.port;
    socket.on('error', () => {});
    if (port === undefined) {
      socket.destroy();
      return;
    }
    const inner = connect(port, '127.0.0.1');
    this.#sockets.add(socket);
    inner.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      inner.destroy();
    });
    socket.pipe(inner).pipe(socket);
  }

  #take(message: string, sessionId: string, done: (error?: Error | null, message?: string) => void): void {
    const id = /^Message-ID:\s*<([^>]+)>/im.exec(message)?.[1] ?? '(none)';
    const times = (this.#seen.get(id) ?? 0) + 1;
    this.#seen.set(id, times);
    const { mood } = this;
    setTimeout(() => {
      const refusal = mood.refuseMessage?.(id, times);
      if (refusal !== undefined) {
        done(refused(refusal));
        return;
      }
      this.received.set(id, (this.received.get(id) ?? 0) + 1);
      this.messages.set(id, message);
      if (mood.diesAfterData?.(id, times)) {
        this.diedAfter.add(id);
        const connection = [...(this.#server?.connections ?? [])].find(
          (one) => (one as { id: string }).id === sessionId,
        );
        (connection as { close(): void } | undefined)?.close();
        return;
      }
      this.accepted.add(id);
      done();
    }, mood.slowMs ?? 0);
  }
}

function refused(reply: string): Error {
  const error = new Error(reply.slice(4)) as Error & { responseCode: number };
  error.responseCode = Number(reply.slice(0, 3));
  return error;
}
