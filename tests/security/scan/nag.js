// Prints as JSON what cdk-nag's AWS Solutions rules find in CloudFormation templates: node nag.js FILE...
const fs = require("fs");
const os = require("os");
const path = require("path");
const { App, Aspects, Stack } = require("aws-cdk-lib");
const { CfnInclude } = require("aws-cdk-lib/cloudformation-include");
const { AwsSolutionsChecks } = require("cdk-nag");

const found = [];

class Listener {
  constructor(file) { this.file = path.basename(file); }
  onCompliance() {}
  onSuppressed() {}
  onNotApplicable() {}
  onNonCompliance(data) { this.tell(data, data.findingId || data.ruleInfo); }
  onError(data) { this.tell(data, `error: ${data.errorMessage}`); }
  tell({ ruleId, resource }, finding) {
    const name = Stack.of(resource).resolve(resource.logicalId);
    found.push({ judge: "cdk-nag", file: this.file, rule: ruleId, resource: name, finding });
  }
}

for (const file of process.argv.slice(2)) {
  const outdir = fs.mkdtempSync(path.join(os.tmpdir(), "cdk-nag-"));
  const app = new App({ outdir });
  new CfnInclude(new Stack(app, "Stack"), "Template", { templateFile: file });
  const rules = new AwsSolutionsChecks({ reports: false, additionalLoggers: [new Listener(file)] });
  Aspects.of(app).add(rules);
  app.synth();
  fs.rmSync(outdir, { recursive: true });
}
console.log(JSON.stringify(found));
