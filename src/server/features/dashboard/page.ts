/** The head that guards the dashboard's page, and what stands in for the page where it has not been built. Nothing here may be inline code. */

/**
 * What the page needs and no more. 'self' covers the watch socket of the same host and port. Styles that scripts set one by one are no
 * inline style to a policy.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
};

/** A checkout whose server was started without its build, e.g. by a test. */
export const UNBUILT_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lanekeeper</title>
<link rel="icon" href="data:,">
</head>
<body>
<h1>Lanekeeper</h1>
<p>The server runs. Its dashboard has not been built: run <code>npm run build</code> and load this page again.</p>
<p>The API is described at <a href="/docs">/docs</a>.</p>
</body>
</html>
`;
