import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

type Stage = 'greeting' | 'EHLO' | 'STARTTLS' | 'AUTH' | 'MAIL' | 'RCPT' | 'DATA' | 'message';

export interface SmtpScript {
  /** What to answer at a stage in place of success, such as `550 No such user`. */
  replies?: Partial<Record<Stage, string>>;
  /** At this stage, say nothing and keep the connection. */
  silentAt?: Stage;
  /** At this stage, break the connection: at `message`, after the whole message has been taken. */
  dieAt?: Stage;
  extensions?: string[];
}

const SUCCESS: Record<Stage, string> = {
  greeting: '220 test ESMTP',
  EHLO: '250 test',
  STARTTLS: '220 Go ahead',
  AUTH: '235 Welcome',
  MAIL: '250 OK',
  RCPT: '250 OK',
  DATA: '354 Go on',
  message: '250 Queued',
};

/** An SMTP server over plain TCP that follows a script and keeps what it was told. */
export class ScriptedSmtpServer {
  script: SmtpScript = {};
  /** Every command line received. */
  readonly commands: string[] = [];
  /** Every message whose end was received, whatever was answered. */
  readonly messages: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(): Promise<ScriptedSmtpServer> {
    const server = new ScriptedSmtpServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Back to success at every stage, with nothing remembered. */
  reset(): void {
    this.script = {};
    this.commands.length = 0;
    this.messages.length = 0;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket)).on('error', () => {});
    let received = '';
    let inMessage = false;
    const answer = (stage: Stage): boolean => {
      if (this.script.dieAt === stage) socket.destroy();
      if (this.script.dieAt === stage || this.script.silentAt === stage) return false;
      const reply = this.script.replies?.[stage];
      const lines =
        stage === 'EHLO' && !reply ? ['test', ...(this.script.extensions ?? [])] : [reply ?? SUCCESS[stage]];
      socket.write(
        stage === 'EHLO' && !reply
          ? lines.map((line, index) => `250${index === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join('')
          : `${lines[0]}\r\n`,
      );
      return !reply;
    };
    answer('greeting');
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      for (;;) {
        const terminator = inMessage ? '\r\n.\r\n' : '\r\n';
        const end = received.indexOf(terminator);
        if (end < 0) return;
        const text = received.slice(0, end);
        received = received.slice(end + terminator.length);
        if (inMessage) {
          inMessage = false;
          this.messages.push(text);
          answer('message');
          continue;
        }
        this.commands.push(text);
        const verb = text.split(/[ :]/)[0]?.toUpperCase() ?? '';
        if (verb === 'DATA') inMessage = answer('DATA');
        else if (verb === 'QUIT') socket.end('221 Bye\r\n');
        else if (verb === 'STARTTLS' && !this.script.extensions?.includes('STARTTLS'))
          socket.write('502 No\r\n');
        else if (verb in SUCCESS) answer(verb as Stage);
        else socket.write('250 OK\r\n');
      }
    });
  }
}
