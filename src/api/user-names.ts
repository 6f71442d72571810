/** What users can be called, as Harbor has it. A colon would end the name where it is sent with a password (RFC 7617 §2). */
export const USER_NAME = '^[^,"~#%$:\\s\\p{Cc}\\p{Cs}](?:[^,"~#%$:\\p{Cc}\\p{Cs}]*[^,"~#%$:\\s\\p{Cc}\\p{Cs}])?$'
export const MAX_USER_NAME = 255

const pattern = new RegExp(USER_NAME, 'u')

/** Whether somebody could be called so. `robotPrefix`: whoever logs in under a name that begins so is taken for a robot. */
export function isUserName(text: string, robotPrefix: string): boolean {
  return text.length <= MAX_USER_NAME && pattern.test(text) && !text.startsWith(robotPrefix)
}
