/** What a run has made, with links where it says where it is. */
import type { ReactNode } from 'react';
import { CopyButton } from '../ui/copy-button.tsx';
import { type Artifact, artifactsOf } from './artifacts.ts';

export function Artifacts({ metadata }: { readonly metadata: Readonly<Record<string, unknown>> }): ReactNode {
  const artifacts = artifactsOf(metadata);
  if (artifacts.length === 0) return null;
  return (
    <div>
      <p className="task-small-head">
        <strong>Artifacts</strong>
      </p>
      <ul className="task-links">
        {artifacts.map((artifact, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: names may be the same, and the list never changes
          <li key={index}>
            <ArtifactLine artifact={artifact} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function ArtifactLine({ artifact: { name, url, text } }: { readonly artifact: Artifact }): ReactNode {
  return (
    <>
      {url === null ? (
        name
      ) : (
        <a href={url} target="_blank" rel="noreferrer noopener">
          {name}
        </a>
      )}
      {text !== null && (
        <details>
          <summary>Text</summary>
          <CopyButton text={text} />
          <pre className="wrap">{text}</pre>
        </details>
      )}
    </>
  );
}
