/** The one error of backup and restore: its message is for the person at the terminal, and says what was and was not done. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
}

const OUT_OF_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

export function isOutOfRoom(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && OUT_OF_ROOM.has(error.code)
  );
}
