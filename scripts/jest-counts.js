// What `npm test` needs of jest's results: counts, and the names of what was skipped. Jest's own --json fails on errors that hold circles.
import { writeFileSync } from 'node:fs'

export default class Counts {
  onRunComplete(_, { numPassedTests, numFailedTests, numFailedTestSuites, testResults }) {
    const skipped = testResults.flatMap((suite) => suite.testResults.filter((test) => test.status === 'pending').map((test) => test.fullName))
    writeFileSync(process.env.VARVE_TEST_REPORT, JSON.stringify({ passed: numPassedTests, failed: Math.max(numFailedTests, numFailedTestSuites), skipped }))
  }
}
