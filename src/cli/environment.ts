/** The environment of the command line: read here and handed on, so that everything else can be tried with another. */

export type Environment = Readonly<Record<string, string | undefined>>;

export function readEnvironment(): Environment {
  return process.env;
}
