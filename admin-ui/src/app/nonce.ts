/** The nonce of this page, which the server has put into it; styles that bear it are let in. */
export function nonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";
}
