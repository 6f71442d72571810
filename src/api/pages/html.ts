/** Markup that may stand in a page as it is. */
export type Html = { readonly markup: string }

type Part = string | Html | readonly Html[]

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Markup in which each text that is put in stands for itself, between tags as within a quoted attribute. */
export function html(literals: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { markup: literals.map((literal, index) => `${literal}${index < parts.length ? markupOf(parts[index] ?? '') : ''}`).join('') }
}

export const NOTHING: Html = { markup: '' }

function markupOf(part: Part): string {
  if (typeof part === 'string') return part.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
  return 'markup' in part ? part.markup : part.map(({ markup }) => markup).join('')
}
