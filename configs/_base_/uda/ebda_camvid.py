# EBDA on CamVid's classes.
_base_ = ['dacs_fd_camvid.py', 'entropy_balance.py']

uda = dict(entropy_balance={{_base_._entropy_balance}})
