# The loss 0.1 * mean((H - 0.4)^2) on the mixed image, which makes EBDA of DAFormer: H is a pixel's entropy in
# nats (0 ... ln C), so certain pixels are pulled up and uncertain ones down.
_entropy_balance = dict(type='EntropyBalanceLoss', target=0.4, loss_weight=0.1)
