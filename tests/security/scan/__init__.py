"""What outside judges say of the exported templates and policies: `python -m tests.security.scan` (`make scan`).

checkov and cdk-nag read every pipeline's CloudFormation template, parliament and cloudsplaining every role's policy.
cfn-lint does so with the tests. What they find is waived in `waivers.yaml`, with a reason, or fails; so does a waiver
that nothing needs any more. The judges live in an environment of their own, `.venv/security`: they pin old versions
of what imgpipe needs.
"""
