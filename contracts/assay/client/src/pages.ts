// Walking the contract's collections.

/** One page of a collection, as every query of one answers. */
export interface Page<T, K> {
  items: T[];
  next_start_after?: K | null;
}

/** All items of a collection, page after page. */
export async function collect<T, K>(read: (startAfter?: K) => Promise<Page<T, K>>): Promise<T[]> {
  const items: T[] = [];
  let after: K | undefined;
  for (;;) {
    const page = await read(after);
    items.push(...page.items);
    if (page.next_start_after === undefined || page.next_start_after === null) return items;
    after = page.next_start_after;
  }
}
