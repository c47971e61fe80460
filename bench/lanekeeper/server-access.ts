/** What our load needs of the servers: connections to all of them in turns, and one as the admin. */
import type { DriverTarget } from '../driver.ts';
import { HttpConnection, type HttpRequest } from './http-connection.ts';

export class ServerAccess {
  readonly urls: readonly string[];
  readonly adminKey: string;
  #admin: HttpConnection;

  private constructor(target: DriverTarget, admin: HttpConnection) {
    this.urls = target.urls;
    this.adminKey = target.adminKey;
    this.#admin = admin;
  }

  static async open(target: DriverTarget): Promise<ServerAccess> {
    return new ServerAccess(target, await HttpConnection.open(target.urls[0] ?? ''));
  }

  /** As far from the admin's server as there is: of one server the same. */
  get farUrl(): string {
    return this.urls.at(-1) ?? '';
  }

  /** One at a time. */
  async callAsAdmin<T>(request: Omit<HttpRequest, 'token'>): Promise<T> {
    // A long measurement leaves it unused for longer than the server keeps it.
    if (!this.#admin.isOpen) this.#admin = await HttpConnection.open(this.urls[0] ?? '');
    return this.#admin.call<T>({ ...request, token: this.adminKey });
  }

  /** So many connections, to the servers in turns. */
  openConnections(count: number): Promise<HttpConnection[]> {
    return Promise.all(
      Array.from({ length: count }, (_, index) =>
        HttpConnection.open(this.urls[index % this.urls.length] ?? ''),
      ),
    );
  }

  close(): void {
    this.#admin.close();
  }
}
