// The server behind `layermix watch`: the report of a study folder, rendered when somebody asks, on loopback alone. A page
// from elsewhere in the same browser must not read it: only the names of this machine are accepted as Host (a rebound DNS
// name is not one of them), nothing is sent with CORS headers, and nothing can be changed, whatever is sent.

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Page } from "../report/page/page.js";

export interface WatchOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** The page as it is now. */
  readonly render: () => Page;
  /** A short text that changes when the page would. */
  readonly version: () => string;
  /** What went wrong while a page was rendered. */
  readonly onError: (error: unknown) => void;
}

/** Starts to listen on 127.0.0.1. Rejects with the system's error when the port is taken. */
export function startWatchServer(
  options: WatchOptions,
): Promise<{ readonly server: Server; readonly url: string }> {
  const cache = new PageCache(options.render);
  const server = createServer((request, response) => {
    try {
      answer(request, response, options, cache);
    } catch (error) {
      options.onError(error);
      send(
        response,
        500,
        "text/plain; charset=utf-8",
        "The study could not be read; the terminal says why.\n",
      );
    }
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : options.port;
      resolve({ server, url: `http://127.0.0.1:${port}/` });
    });
  });
}

/** The last page, kept until the study moves on. */
class PageCache {
  readonly #render: () => Page;
  #page: Page | undefined;
  #version = "";

  constructor(render: () => Page) {
    this.#render = render;
  }

  at(version: string): Page {
    if (this.#page === undefined || version !== this.#version) {
      this.#page = this.#render();
      this.#version = version;
    }
    return this.#page;
  }
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { version }: WatchOptions,
  cache: PageCache,
): void {
  const host = (request.headers.host ?? "").replace(/:\d+$/, "");
  if (host !== "127.0.0.1" && host !== "localhost" && host !== "[::1]") {
    send(response, 403, "text/plain; charset=utf-8", "This page is for this machine only.\n");
    return;
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("Allow", "GET, HEAD");
    send(response, 405, "text/plain; charset=utf-8", "This page can only be read.\n");
    return;
  }
  const path = (request.url ?? "/").split("?")[0];
  if (path === "/version") {
    const text = createHash("sha256").update(version()).digest("hex").slice(0, 16);
    send(response, 200, "text/plain; charset=utf-8", text, request.method);
  } else if (path === "/") {
    const page = cache.at(version());
    response.setHeader("Content-Security-Policy", `${page.policy}; frame-ancestors 'none'`);
    send(response, 200, "text/html; charset=utf-8", page.html, request.method);
  } else if (path === "/favicon.ico") {
    send(response, 204, "image/x-icon", "");
  } else {
    send(response, 404, "text/plain; charset=utf-8", "There is one page here, at /.\n", request.method);
  }
}

function send(response: ServerResponse, status: number, type: string, text: string, method = "GET"): void {
  response.writeHead(status, {
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(text),
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    Connection: "close",
  });
  response.end(method === "HEAD" ? "" : text);
}
