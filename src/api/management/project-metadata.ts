/**
 * What Harbor keeps beside a project. `public` is its visibility and stands elsewhere. The effect of the others Varve does not have
 * yet, so that each is taken only with a value that asks for none: nothing may look done that is not.
 */
const WITHOUT_EFFECT: Readonly<Record<string, readonly string[]>> = {
  auto_sbom_generation: ['false'],
  auto_scan: ['false'],
  enable_content_trust: ['false'],
  enable_content_trust_cosign: ['false'],
  max_upstream_conn: ['-1'],
  prevent_vul: ['false'],
  proxy_cache_filter_kind: ['', 'doublestar'],
  proxy_cache_filter_pattern: [''],
  proxy_cache_local_on_not_found: ['false'],
  proxy_referrer_api: ['false'],
  proxy_speed_kb: ['-1'],
  retention_id: [''],
  // There is no list of what is allowed in spite of being vulnerable, neither a project's own nor one for all.
  reuse_sys_cve_allowlist: ['false', 'true'],
  // From where on `prevent_vul` would refuse a pull, which it does not.
  severity: ['none', 'low', 'medium', 'high', 'critical'],
}

export const METADATA_NAMES = ['public', ...Object.keys(WITHOUT_EFFECT)]

/** What is wrong with a value, or nothing. */
export function faultOfMetadata(name: string, value: string): string | undefined {
  if (name === 'public') return value === 'true' || value === 'false' ? undefined : 'public must be "true" or "false"'
  const allowed = Object.hasOwn(WITHOUT_EFFECT, name) ? WITHOUT_EFFECT[name] : undefined
  if (allowed === undefined) return `there is no metadata called ${name}`
  return allowed.includes(value) ? undefined : `${name} has no effect here yet: it is taken only as ${allowed.map((each) => `"${each}"`).join(' or ')}`
}
