// Names of the phone book: 32 first and 32 last names, 1024 people. Order is part of the task's version.

export const firstNames: readonly string[] = (
  "Ada Alan Amy Anna Ben Carl Clara Dan Emma Eric Eva Finn Grace Hans Ida Ivan " +
  "Jane John Kate Lars Leo Lily Mark Mary Nina Noah Olga Paul Rosa Sam Tom Vera"
).split(" ");

export const lastNames: readonly string[] = (
  "Adams Baker Bell Brown Clark Cook Cox Davis Evans Fisher Ford Gray Green Hall Hill Hunt " +
  "Jones King Lane Lee Long Mason Moore Powell Price Reed Ross Scott Stone Ward West Young"
).split(" ");
