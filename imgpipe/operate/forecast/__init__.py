"""What a pipeline will cost and how it will behave, worked out from its resources without asking any cloud.

prices.yaml, timings.yaml     dated figures: what AWS asks, and how long the work takes
topology                      resources -> the functions, what feeds them, what each does
work                          what one image asks of every part: calls, milliseconds, bytes
cost                          work x prices -> dollars per million images and a month
simulation                    the same topology under a virtual clock
ceilings                      AWS's limits, and the first one that a rate hits
"""
