/** A data key as it is stored: readable by the master key `keyId` alone. */
export interface WrappedKey {
  keyId: string;
  bytes: Buffer;
}

/** What a wrapped key is bound to. KMS writes it to its own log: names, never a secret. */
export type KeyContext = Readonly<Record<string, string>>;

export interface MasterKeys {
  /** The master key under which new data keys are wrapped. */
  currentKeyId(): Promise<string>;
  /** Does a wrapped key of this id belong to this provider? */
  holds(keyId: string): boolean;
  wrap(dataKey: Buffer, context: KeyContext): Promise<WrappedKey>;
  /** Throws UNAVAILABLE while the provider cannot be asked, any other error where it cannot be unwrapped at all. */
  unwrap(wrapped: WrappedKey, context: KeyContext): Promise<Buffer>;
}
